"""Constants that several designs and checks use: the array, what its tiles hold, the model.

The hardware's numbers are XDNA2's, from mlir-aie's target model
(lib/Dialect/AIE/IR/AIETargetModel.cpp: AIE2 and NPU2) and the AIE-ML architecture manual (AM020).
"""

ARRAY_COLUMNS = 8
ARRAY_ROWS = 4
"""Compute tiles of a column; below them lie a memory tile and a shim tile."""

SHIM_ROW, MEMORY_ROW, FIRST_CORE_ROW = 0, 1, 2
"""Rows of a column: the shim to host memory, the memory tile, then `ARRAY_ROWS` cores."""

STACK = 0xD00
"""Bytes of stack. The compiler's default of 1,024 overflows into the buffers, silently."""

CORE_MEMORY, MEMORY_TILE = 64 * 1024, 512 * 1024
"""Memory of a core and of a memory tile in bytes."""

BANKS = 4
"""Banks of a core's memory; a buffer that lies in two slows down every access."""

CHANNELS = {"shim": 2, "memory": 6, "core": 2}
"""DMA channels of a tile in each direction."""

DESCRIPTORS = {"shim": 16, "memory": 48, "core": 16}
"""Buffer descriptors of a tile."""

LOOPS = {"shim": 4, "memory": 4, "core": 3}
"""Nested loops of one descriptor; the shim's fourth is its iteration."""

SHIM_WRAP = 1023
"""Greatest count of a shim's two inner loops; for the innermost, in words."""

ELEMENTS = {"memory": 512, "core": 255}
"""Greatest count of a loop in elements, as mlir-aie's verifier compares it (AIEDialect.cpp). Newer
versions take up to 1,023 in a memory tile, the descriptor's field; older ones 512."""

LENGTH = {"memory": (1 << 17) - 1, "core": (1 << 14) - 1}
"""Greatest length of a transfer in words."""

STEP = {"shim": 1 << 20, "memory": 1 << 17, "core": 1 << 13}
"""Greatest stride of a loop in words."""

ITERATIONS = 64
"""Greatest count of the shim's fourth loop."""

MODEL_WIDTH = 512
"""Width of the residual stream of Whisper base."""

HEAD_WIDTH = 64
"""Width of an attention head, the same in every Whisper model."""

RUN_HEIGHTS = (256, 512)
"""Rows of a run: half a window of 10.24 s, and all of it."""
