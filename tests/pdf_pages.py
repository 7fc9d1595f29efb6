"""PDF reports for tests, read back: their text, their date, their sheets as pictures."""

import pypdfium2


def pdf_text(data: bytes) -> str:
    """Return the text of all sheets, white space as single blanks, without places to break."""
    document = pypdfium2.PdfDocument(data)
    try:
        text = "\n".join(page.get_textpage().get_text_range() for page in document)
    finally:
        document.close()
    return " ".join(text.replace("\u200b", "").split())


def pdf_date(data: bytes) -> str:
    """Return when it says that it was made."""
    document = pypdfium2.PdfDocument(data)
    try:
        return str(document.get_metadata_value("CreationDate"))
    finally:
        document.close()
