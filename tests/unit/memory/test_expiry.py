from syncline.memory import MemoryTables
from syncline.ports.tables import Key, Put, Table


async def test_expired_rows_are_dropped_when_told_and_no_earlier():
    tables = MemoryTables()
    for sk, more in (("past", {"expires_at": 100}), ("future", {"expires_at": 300}), ("forever", {})):
        await tables.write(Put(Table.OUTCOMES, {"pk": "a", "sk": sk, **more}))
    assert await tables.get(Table.OUTCOMES, Key("a", "past"))
    tables.drop_expired(200)
    assert [row["sk"] async for row in tables.query(Table.OUTCOMES, "a")] == ["forever", "future"]
