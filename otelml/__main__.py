"""``python -m otelml`` is ``otelml``."""

from otelml.cli import main

raise SystemExit(main())
