"""OTLP's requests as the viewer reads them: attributes of spans and log records stay bytes.

Most attributes are the same from span to span, and are found again by their bytes: to make an object of each, and
bytes of that, was nearly half of the work of reading a request. The messages are the official ones, in a pool of their
own, in which the type of that one field is another with the same encoding.
"""

from __future__ import annotations

from typing import Any

from google.protobuf.descriptor_pb2 import FieldDescriptorProto, FileDescriptorProto
from google.protobuf.descriptor_pool import DescriptorPool
from google.protobuf.message_factory import GetMessageClass
from opentelemetry.proto.collector.logs.v1 import logs_service_pb2
from opentelemetry.proto.collector.trace.v1 import trace_service_pb2
from opentelemetry.proto.common.v1 import common_pb2
from opentelemetry.proto.logs.v1 import logs_pb2
from opentelemetry.proto.resource.v1 import resource_pb2
from opentelemetry.proto.trace.v1 import trace_pb2

_FILES = (common_pb2, resource_pb2, trace_pb2, trace_service_pb2, logs_pb2, logs_service_pb2)
_BYTES = {"Span", "LogRecord"}
"""Messages whose attributes stay bytes."""


def _pool() -> DescriptorPool:
    pool = DescriptorPool()
    for module in _FILES:
        file = FileDescriptorProto()
        module.DESCRIPTOR.CopyToProto(file)
        for message in file.message_type:
            for field in message.field:
                if message.name in _BYTES and field.name == "attributes":
                    field.type = FieldDescriptorProto.TYPE_BYTES
                    field.ClearField("type_name")
        pool.Add(file)
    return pool


def _request(pool: DescriptorPool, official: Any) -> Any:
    return GetMessageClass(pool.FindMessageTypeByName(official.DESCRIPTOR.full_name))


def lean(request: Any, kind: Any) -> Any:
    """Return a request, ours or an official one, as ours."""
    return request if isinstance(request, kind) else kind.FromString(request.SerializeToString())


_POOL = _pool()
TraceRequest = _request(_POOL, trace_service_pb2.ExportTraceServiceRequest)
LogsRequest = _request(_POOL, logs_service_pb2.ExportLogsServiceRequest)
