# What the kernels are compiled for: Ampere, Hopper (a: its own instructions), data-centre and consumer Blackwell.
set(MOESIM_CUDA_TARGETS 80 90a 100 120)
