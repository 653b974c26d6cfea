"""OTLP requests, for comparison: what they hold, without regard to order."""


def canonical(requests):
    """Return the messages of each resource and scope, without regard to their order."""
    found = {}
    for request in requests:
        for resource in (*getattr(request, "resource_spans", ()), *getattr(request, "resource_logs", ())):
            for scope in (*getattr(resource, "scope_spans", ()), *getattr(resource, "scope_logs", ())):
                key = (str(resource.resource), resource.schema_url, str(scope.scope), scope.schema_url)
                for message in (*getattr(scope, "spans", ()), *getattr(scope, "log_records", ())):
                    if hasattr(message, "observed_time_unix_nano"):
                        assert message.observed_time_unix_nano >= message.time_unix_nano
                        message.observed_time_unix_nano = 0  # read once for all that are encoded together
                    found.setdefault(key, []).append(str(message))
    return {key: sorted(messages) for key, messages in found.items()}
