from benchmarks.run_profile import Function, Stats, shares

_DECODE: Function = ("/x/service/messaging/codec.py", 1, "decode")
_SEND: Function = ("/x/site-packages/aiohttp/client.py", 1, "send")
_JOIN: Function = ("~", 0, "<method 'join' of 'bytes' objects>")
_SELECT: Function = ("~", 0, "<method 'poll' of 'select.epoll' objects>")


def test_a_built_in_function_counts_for_its_callers() -> None:
    stats: Stats = {
        _DECODE: (1, 1, 1.0, 2.0, {}),
        _SEND: (1, 1, 0.5, 2.0, {}),
        _JOIN: (4, 4, 2.5, 2.5, {_DECODE: (1, 1, 1.0, 1.0), _SEND: (3, 3, 1.5, 1.5)}),
        _SELECT: (9, 9, 60.0, 60.0, {_SEND: (9, 9, 60.0, 60.0)}),
    }
    assert shares(stats) == {"records: decoding, encoding, headers": 0.5, "HTTP": 0.5}
