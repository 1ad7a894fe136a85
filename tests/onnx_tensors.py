"""What the onnx package sees in a model, for the tests that compare with it."""

import onnx


def onnx_tensors(graph):
    """Initialisers and the tensors of Constant nodes, those of subgraphs too."""
    yield from graph.initializer
    for node in graph.node:
        for attribute in node.attribute:
            if attribute.type == onnx.AttributeProto.TENSOR:
                yield attribute.t
            for subgraph in [attribute.g, *attribute.graphs]:
                yield from onnx_tensors(subgraph)
