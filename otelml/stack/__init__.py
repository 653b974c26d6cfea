"""The bundled stack on this machine: built, started, watched and stopped by ``otelml stack``."""
