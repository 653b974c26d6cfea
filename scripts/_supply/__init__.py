"""Parts of ``scripts/audit``, ``scripts/licences`` and ``scripts/sbom``."""
