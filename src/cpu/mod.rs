//! Vector kernels and their thread pool.
