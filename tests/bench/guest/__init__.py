"""What runs inside the machine and measures. Standard library only; raw values out, no verdicts."""
