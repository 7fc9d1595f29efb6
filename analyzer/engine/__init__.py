"""Engine: sealed slices and rules, in; the outcome of every rule on every host, out."""

from analyzer.engine.fused import FusedEngine
from analyzer.engine.protocol import Engine
from analyzer.engine.reference import ReferenceEngine

__all__ = ["Engine", "FusedEngine", "ReferenceEngine"]
