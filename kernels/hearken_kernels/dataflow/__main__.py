import sys

from hearken_kernels.dataflow.check import main

sys.exit(main(sys.argv[1:]))
