"""A query of any database that SQLAlchemy knows."""

from collections.abc import Generator

import pandas as pd

from ...data.errors import DataError
from ...origins import PARAMETER, Sql
from ..environment import address
from ..packages import missing, needed
from ..reading import ROWS, Reading
from ..window import FIRST, LAST


def frames(origin: Sql, reading: Reading) -> Generator[pd.DataFrame]:
    """Yield what the query gives, from the server's cursor where it has one."""
    sql = needed("sqlalchemy", "an origin of kind sql")
    url = origin.url if origin.url_env is None else reading.secrets.read(origin.url_env)
    reading.told |= {"kind": "sql", "url": address(str(url)), "query": origin.query}
    try:
        engine = sql.create_engine(url, poolclass=sql.pool.NullPool)
    except ModuleNotFoundError as error:
        what = f"a database like {str(url).partition(':')[0]}"
        raise DataError(missing(what, str(error.name))) from error
    ends = {"since": reading.window.since or FIRST, "until": reading.window.until or LAST}
    # SQLite has no dates, and compares texts.
    plain = engine.dialect.name == "sqlite"
    wanted = {name: ends[name] for name in set(PARAMETER.findall(origin.query))}
    given = {name: day.isoformat() if plain else day for name, day in wanted.items()}
    with engine.connect() as connection:
        told = connection.execution_options(stream_results=True, max_row_buffer=ROWS)
        answer = told.execute(sql.text(origin.query), given)
        names = list(answer.keys())
        for rows in answer.partitions(ROWS):
            # As Python's own objects, since a float would round whole numbers beside a NULL.
            yield pd.DataFrame([tuple(row) for row in rows], columns=names, dtype=object)
    engine.dispose()
