"""Libraries that are measured without a change to the application: one module each."""
