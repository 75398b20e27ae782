"""QEMU's educational device as a PCI function that lives in this program, by docs/specs/edu.rst of QEMU.

    python3 examples/edu.py [SOCKET_URL BDF]

is that function of that machine, until the machine is gone. Without arguments it starts a machine, is its function 00:04.0, and drives it as a host would.
examples/test_edu.py runs the same driver against it and against the model that the server has. Time is the machine's there, and here a factorial and a transfer
are done when their register is written.
"""

import sys

import iommud

IDENTIFICATION = 0x0100_00ED
BUFFER = 0x40000
BUFFER_SIZE = 4096
RAM_BITS = 28

RUN, TO_RAM, RAISE = 1, 2, 4
RAISE_FACTORIAL = 0x80
FACTORIAL_DONE, DMA_DONE = 0x001, 0x100

# Offset of each register, and its size.
REGISTERS = {
    0x00: ("identification", 4),
    0x04: ("liveness", 4),
    0x08: ("factorial", 4),
    0x20: ("status", 4),
    0x24: ("interrupt_status", 4),
    0x60: ("interrupt_raise", 4),
    0x64: ("interrupt_acknowledge", 4),
    0x80: ("source", 8),
    0x88: ("destination", 8),
    0x90: ("count", 8),
    0x98: ("command", 8),
}
READ_ONLY = ("identification", "interrupt_status")
WRITE_ONLY = ("interrupt_raise", "interrupt_acknowledge")


class Edu(iommud.Device):
    def __init__(self) -> None:
        self._clear()

    def _clear(self) -> None:
        self.registers = {name: 0 for name, _ in REGISTERS.values()}
        self.registers["identification"] = IDENTIFICATION
        self.buffer = bytearray(BUFFER_SIZE)

    def read(self, access: iommud.RegionAccess) -> int:
        name, size = REGISTERS.get(access.offset, ("", 0))
        if access.region != 0 or name in ("", *WRITE_ONLY) or access.size not in (4, size):
            return (1 << 8 * access.size) - 1
        return self.registers[name] & (1 << 8 * access.size) - 1

    def write(self, access: iommud.RegionAccess, value: int) -> None:
        name, size = REGISTERS.get(access.offset, ("", 0))
        if access.region != 0 or name in ("", *READ_ONLY) or access.size not in (4, size):
            return
        if name == "liveness":
            self.registers[name] = ~value & 0xFFFF_FFFF
        elif name == "factorial":
            self._factorial(value)
        elif name == "status":
            self.registers[name] = value & RAISE_FACTORIAL
        elif name == "interrupt_raise":
            self._raise(value)
        elif name == "interrupt_acknowledge":
            self._interrupt(self.registers["interrupt_status"] & ~value)
        elif name == "command":
            if value & RUN:
                self._transfer(value)
        else:
            self.registers[name] = value

    def reset(self, method: str) -> None:
        self._clear()
        self.line(False)

    def _factorial(self, of: int) -> None:
        product = 1
        # From 34 on it is 0.
        for factor in range(2, min(of, 34) + 1):
            product = product * factor & 0xFFFF_FFFF
        self.registers["factorial"] = product
        if self.registers["status"] & RAISE_FACTORIAL:
            self._raise(FACTORIAL_DONE)

    def _transfer(self, command: int) -> None:
        source, destination, count = (self.registers[name] for name in ("source", "destination", "count"))
        at = (source if command & TO_RAM else destination) - BUFFER
        ram = (destination if command & TO_RAM else source) & (1 << RAM_BITS) - 1
        if count and 0 <= at and at + count <= BUFFER_SIZE:
            if command & TO_RAM:
                self.dma.write(ram, self.buffer[at : at + count])
            else:
                # A fault is the machine's to report; what it did not bring stays as it was.
                got = self.dma.read(ram, count)
                brought = (got.data or b"")[: got.size]
                self.buffer[at : at + len(brought)] = brought
        self.registers["command"] = command & ~RUN
        if command & RAISE:
            self._raise(DMA_DONE)

    def _raise(self, value: int) -> None:
        self._interrupt(self.registers["interrupt_status"] | value)

    def _interrupt(self, status: int) -> None:
        self.registers["interrupt_status"] = status
        self.line(status != 0)


class EduDriver:
    """What a driver of it does, with an IOMMU in between. The device's DMA reaches the page at `iova`, and nothing else."""

    def __init__(self, machine: iommud.Machine, bdf: str, iova: int = 0x20000) -> None:
        self.function = machine.function(bdf)
        self.registers = self.function.bar(0)
        self.memory = machine.memory
        self.iova = iova
        self.page = machine.memory.alloc(BUFFER_SIZE).address
        self.function.dma.map(iova=iova, address=self.page, size=BUFFER_SIZE, access="rw")

    def factorial(self, of: int) -> int:
        self.registers.write(0x08, of)
        while self.registers.read(0x20) & 1:
            pass
        return self.registers.read(0x08)

    def transfer(self, source: int, destination: int, count: int, command: int) -> None:
        self.registers.write(0x80, source, 8)
        self.registers.write(0x88, destination, 8)
        self.registers.write(0x90, count, 8)
        self.registers.write(0x98, command | RUN, 8)
        while self.registers.read(0x98, 8) & RUN:
            pass

    def round_trip(self, text: bytes) -> bytes:
        """Into the device's buffer, and back to the second half of the page."""
        half = BUFFER_SIZE // 2
        self.memory.write(self.page, text)
        self.transfer(self.iova, BUFFER, len(text), 0)
        self.transfer(BUFFER, self.iova + half, len(text), TO_RAM)
        return self.memory.read(self.page + half, len(text))


def serve(url: str, bdf: str) -> None:
    with iommud.connect(url, ["device"]) as connection:
        connection.claim(bdf, Edu())
        print(f"is {bdf}", flush=True)
        print(f"ends: {connection.wait_closed()}")


def show() -> None:
    with iommud.start_machine(seed=7) as machine:
        machine.connect(["device"]).claim("00:04.0", Edu())
        driver = EduDriver(machine, "00:04.0")
        print(f"identification {driver.registers.read(0):#x}, 10! = {driver.factorial(10)}")
        print(driver.round_trip(b"there and back").decode())
        driver.transfer(0x9000, BUFFER, 16, 0)
        print(machine.faults.next().text)


if __name__ == "__main__":
    serve(*sys.argv[1:]) if len(sys.argv) == 3 else show()
