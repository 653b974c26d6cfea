"""The JSON behind the pages: one file per page of pure functions ``(store, asked) -> dict``.

Times are nanoseconds since the epoch, durations seconds, shares 0 to 1; what is not known is null. Counters are
increases over the range (restarts and several instances added up, never negative), quantiles of histograms are
interpolated as everywhere (``otelml.viewer.distributions``).
"""
