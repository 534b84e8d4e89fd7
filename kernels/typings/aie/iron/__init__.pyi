from hearken_kernels.dataflow.model import Buffer as Buffer
from hearken_kernels.dataflow.model import Kernel as Kernel
from hearken_kernels.dataflow.model import ObjectFifo as ObjectFifo
from hearken_kernels.dataflow.model import Program as Program
from hearken_kernels.dataflow.model import Runtime as Runtime
from hearken_kernels.dataflow.model import Worker as Worker
from hearken_kernels.dataflow.model import WorkerRuntimeBarrier as WorkerRuntimeBarrier
