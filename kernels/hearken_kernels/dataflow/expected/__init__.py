"""What the data flow of each operator has to do, on labels instead of numbers.

`cases(design)` yields for each shape its name, the program, and for each tensor its labels, as a
list or as a function of the index, and how often each element is read, as a number or as a function
of the index (`None` for results). `MODELS` has a model of each function of the tile program, which
refuses operands that do not belong together.
"""

from collections.abc import Callable, Sequence
from typing import Any

Label = Any
Labels = Sequence[Label] | Callable[[int], Label]
Reads = int | Callable[[int], int] | None
Tensors = dict[str, tuple[Labels, Reads]]
Case = tuple[str, Any, Tensors]
