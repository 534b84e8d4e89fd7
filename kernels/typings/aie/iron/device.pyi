from hearken_kernels.dataflow.model import NPU2 as NPU2
from hearken_kernels.dataflow.model import Tile as Tile
