from __future__ import annotations

import tempfile
from pathlib import Path

from hypothesis import configuration, settings

# Hypothesis keeps tables and failing examples in the current folder otherwise, and a test leaves nothing behind.
configuration.set_hypothesis_home_dir(Path(tempfile.gettempdir()) / "aurora-hypothesis")
# No deadline for one example: the machine may be an emulated one.
settings.register_profile("house", database=None, deadline=None)
settings.load_profile("house")
