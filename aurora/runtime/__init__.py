"""Installed modules, and the work of making the machine equal to them.

records      what is installed and enabled, on disk     applied     what systemd was given since boot
folders      a folder -> manifest -> plan               install     staging into slots, removal
packages     module packages that came or went          reconcile   steps, and their undo
control      start, stop, restart                       diagnosis   why a start failed
status       what runs, against its limits              foreground  a module in a terminal
"""
