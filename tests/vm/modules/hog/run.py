from aurora import sdk

sdk.ready()
held = []
while True:
    held.append(bytearray(1 << 20))
    print(f"I hold {len(held)} MiB", flush=True)
