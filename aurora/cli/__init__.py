"""auroractl: one table of verbs (`verbs`), one file for each group of them, rendering apart from doing."""
