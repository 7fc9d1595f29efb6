"""Reports: results in the formats that other programs and readers take.

In: a result and its rules packages. Out: the bytes of a document; equal input, equal bytes. Each
format is a module, imported when it is asked for.
"""

from __future__ import annotations

from analyzer.reports.document import Document, Format, document

__all__ = ["Document", "Format", "document"]
