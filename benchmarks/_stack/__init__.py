"""What ``benchmarks/stack.py`` is made of: a stack, a load that costs little, and what the stores hold."""
