"""The life of models: when they were loaded, from which file, on which device, and when they were dropped."""
