"""Speed, memory and quality, measured. Each module runs alone: `python -m benchmarks.race`."""
