"""What decides: ASHA, budget, sampler and coordinator. No Ray, no printing."""
