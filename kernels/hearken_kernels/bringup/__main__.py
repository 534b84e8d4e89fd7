import sys

from hearken_kernels.bringup.checks import main

sys.exit(main(sys.argv[1:]))
