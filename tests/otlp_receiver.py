"""A small OTLP receiver, run as a process of its own: it prints its port, then each export request as a line of JSON.

It takes what the real gRPC exporter sends over a real socket. Closing its standard input ends it, after what it was
sent is printed; so whoever reads it to the end has seen everything.
"""

from __future__ import annotations

import sys
import threading
from concurrent import futures

import grpc
from google.protobuf.json_format import MessageToJson
from google.protobuf.message import Message
from opentelemetry.proto.collector.metrics.v1 import metrics_service_pb2, metrics_service_pb2_grpc
from opentelemetry.proto.collector.trace.v1 import trace_service_pb2, trace_service_pb2_grpc

_PRINTING = threading.Lock()


def _told(request: Message) -> None:
    with _PRINTING:
        print(MessageToJson(request, indent=None), flush=True)  # noqa: T201


class Traces(trace_service_pb2_grpc.TraceServiceServicer):
    def Export(
        self, request: trace_service_pb2.ExportTraceServiceRequest, context: grpc.ServicerContext
    ) -> trace_service_pb2.ExportTraceServiceResponse:
        _told(request)
        return trace_service_pb2.ExportTraceServiceResponse()


class Metrics(metrics_service_pb2_grpc.MetricsServiceServicer):
    def Export(
        self, request: metrics_service_pb2.ExportMetricsServiceRequest, context: grpc.ServicerContext
    ) -> metrics_service_pb2.ExportMetricsServiceResponse:
        _told(request)
        return metrics_service_pb2.ExportMetricsServiceResponse()


def main() -> None:
    server = grpc.server(futures.ThreadPoolExecutor(max_workers=2))
    trace_service_pb2_grpc.add_TraceServiceServicer_to_server(Traces(), server)
    metrics_service_pb2_grpc.add_MetricsServiceServicer_to_server(Metrics(), server)
    port = server.add_insecure_port("127.0.0.1:0")
    server.start()
    print(port, flush=True)  # noqa: T201
    sys.stdin.read()
    server.stop(grace=5).wait()


if __name__ == "__main__":
    main()
