"""Batches of configuration reads over the blocking face: for each line of its input, how many a second.

    python-config-read.py SOCKET_URL BATCH SECONDS
"""

import sys
import time

import iommud


def main(url: str, batch: int, seconds: float) -> None:
    with iommud.connect(url) as connection:
        config = connection.machine.function("00:02.0").config
        offsets = [at * 4 % 256 for at in range(batch)]
        print("ready", flush=True)
        for _ in sys.stdin:
            done = 0
            start = time.perf_counter()
            while (spent := time.perf_counter() - start) < seconds:
                done += len(config.read_many(offsets))
            print(done / spent, flush=True)


if __name__ == "__main__":
    main(sys.argv[1], int(sys.argv[2]), float(sys.argv[3]))
