"""Service level objectives: a Sloth specification (``prometheus/v1``) becomes Prometheus rules.

The specification, the names of the recorded series and their labels are Sloth's, so its dashboards and other tools
read what is made here. What differs is in docs/slo.md: a service without errors has a ratio of 0 instead of none,
few events burn no budget, the budget left is weighted by traffic, and an alert that could never fire is refused.
"""
