"""Expectation of attention: 64 queries of one head meet all keys and values of that head, in order,
each laid out in the blocks that the tile program reads; the result lands in the head's columns of
the queries' rows."""

from collections.abc import Iterator

from hearken_kernels.array import ARRAY_COLUMNS
from hearken_kernels.array import HEAD_WIDTH as WIDTH
from hearken_kernels.dataflow.expected import Case, Label

QUERIES, KEYS, STRIP, BLOCK = 64, 32, 4, 8
HEADER = 4 * KEYS * WIDTH
SHAPES = [(256, 8), (512, 8), (256, 12), (256, 20)]  # heads of base, small, large-v3-turbo


def cases(design) -> Iterator[Case]:
    for m, heads in SHAPES:
        d = heads * WIDTH
        qkv: list[Label] = [
            ("qkv"[i % (3 * d) // d], i // (3 * d), i % d) for i in range(m * 3 * d)
        ]
        yield (
            f"{m} positions, {heads} heads",
            design.design(m, heads),
            {
                "qkv": (qkv, lambda i, d=d, m=m: 1 if i % (3 * d) < d else m // 256),
                "parameters": (_parameters(m, heads), 1),
                "out": (lambda i, d=d: ("o", i // d, i % d), None),
            },
        )


def _parameters(m: int, heads: int) -> list[Label]:
    labels: list[Label] = []
    for c in range(ARRAY_COLUMNS):
        items = len(range(c, heads, ARRAY_COLUMNS)) * (m // 256)
        words = (items, m // 64, m, 0)
        # i32 words in the first 8 places of bf16: the model's take() sees them as labels.
        labels += [("parameter", i, words[i // 2] if i < 8 else 0) for i in range(HEADER)]
    return labels


def blocked(block, strip: int, what: str) -> tuple[int, int]:
    """Returns (first row, head) of an object in blocks of `strip` rows by 8 of row-major
    [rows][64]."""
    _, row, column = block[0]
    head = column // WIDTH
    rows = len(block) // WIDTH
    expected = [
        (what, row + r + i, head * WIDTH + c + j)
        for r in range(0, rows, strip)
        for c in range(0, WIDTH, BLOCK)
        for i in range(strip)
        for j in range(BLOCK)
    ]
    if block != expected:
        raise ValueError(
            f"{what} from row {row}, head {head} is not laid out as the tile program reads it"
        )
    return row, head


def take(header, parameters):
    for i in range(4):
        what, place, value = header[2 * i]
        if what != "parameter" or place != 2 * i:
            raise ValueError(f"parameter {i} is {header[2 * i]}")
        parameters[i] = value


def begin(state, total):
    state[0] = "begun"
    total[0] = 0


def block(q, k, v, transposed, state, total, first_key, parameters):
    _, head = blocked(q, STRIP, "q")
    if state[0] != "begun" or total[0] != first_key:
        raise ValueError(f"keys from {first_key} come after {total[0]} keys")
    for what, data in (("k", k), ("v", v)):
        met = blocked(data, BLOCK, what)
        if met != (first_key, head):
            raise ValueError(f"queries of head {head} meet {what} of {met}, not from {first_key}")
    state[1] = blocked(q, STRIP, "q")
    total[0] += KEYS


def end(state, total, out):
    row, head = state[1]
    if total[0] % 256:
        raise ValueError(f"queries from {row} met {total[0]} keys")
    at = 0
    for r in range(0, QUERIES, STRIP):
        for c in range(0, WIDTH, BLOCK):
            for i in range(STRIP):
                for j in range(BLOCK):
                    out[at] = ("o", row + r + i, head * WIDTH + c + j)
                    at += 1
    state[0] = None


MODELS = {
    "attention_parameters": take,
    "attention_begin": begin,
    "attention_block": block,
    "attention_end": end,
}
