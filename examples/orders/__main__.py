"""Runs the service: ``python -m examples.orders``."""

import uvicorn

if __name__ == "__main__":
    uvicorn.run("examples.orders.api:service", factory=True, log_config=None)
