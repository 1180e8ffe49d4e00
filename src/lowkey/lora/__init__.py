"""Low-rank adaptation (Hu et al., 2021) of any module, without the module knowing."""
