"""Arrow tables hold exactly the rows of the columns they are made from."""

from hypothesis import given

from analyzer.telemetry.arrow import arrow_table, schema_of
from analyzer.telemetry.columns import batch_columns
from analyzer.telemetry.dictionary import Dictionary
from rules.telemetry.batch import Batch
from tests.strategies import batches


@given(batches())
def test_rows_come_back(batch: Batch) -> None:
    for kind, columns in batch_columns(batch, Dictionary()).items():
        table = arrow_table(columns, "i-1")

        assert table.schema == schema_of(kind)
        rows = [
            {name: value for name, value in row.items() if value is not None}
            for row in table.to_pylist()
        ]
        expected = [
            {name: value for name, value in row.items() if name != "telemetry"}
            for row in columns.rows("i-1")
        ]
        assert rows == expected
