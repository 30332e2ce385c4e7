"""Takes orders over HTTP: stock is reserved, the customer charged once, and a killed process's orders are finished.

Run it as ``python -m examples.orders``. Read it from `pipeline`, which is what becomes of an order, then `desk`, which
runs it and goes on with what a crash left, then `api`, which is all that knows HTTP.
"""
