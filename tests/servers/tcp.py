"""What the servers that misbehave are made of."""

import socket
import threading
from abc import ABC, abstractmethod
from contextlib import suppress
from types import TracebackType
from typing import Self


class TcpServer(ABC):
    """Listens on a free port of 127.0.0.1; a context manager.

    Attributes:
        port: Where it listens, from the moment it is made.
        accepted: Connections so far.
        over: Set when all has to end.
    """

    def __init__(self) -> None:
        self.accepted = 0
        self.over = threading.Event()
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port: int = self._listener.getsockname()[1]
        self._lock = threading.Lock()
        self._open: set[socket.socket] = set()
        self._threads = [threading.Thread(target=self._accept, name=f"{type(self).__name__}")]

    def __enter__(self) -> Self:
        self._threads[0].start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.over.set()
        with suppress(OSError):
            self._listener.shutdown(socket.SHUT_RDWR)
        self._threads[0].join()
        self._listener.close()
        self.cut()
        for thread in self._threads[1:]:
            thread.join()

    def url(self, scheme: str = "rtsp", path: str = "cam") -> str:
        """Return where it is."""
        return f"{scheme}://127.0.0.1:{self.port}/{path}"

    def cut(self) -> None:
        """End all connections."""
        with self._lock:
            for connection in self._open:
                hang_up(connection)

    @abstractmethod
    def serve(self, connection: socket.socket) -> None:
        """Misbehave towards one client, until the connection ends or `over` is set.

        Raises:
            OSError: The client has gone, which is no fault.
        """

    def keep(self, connection: socket.socket) -> None:
        """Note a connection that `cut` has to end, from now to the end of its thread."""
        with self._lock:
            self._open.add(connection)

    def let_go(self, connection: socket.socket) -> None:
        """Close a connection."""
        with self._lock:
            self._open.discard(connection)
            connection.close()

    def _accept(self) -> None:
        while not self.over.is_set():
            try:
                connection, _ = self._listener.accept()
            except OSError:
                return
            self.accepted += 1
            self.keep(connection)
            name = f"{type(self).__name__} {self.accepted}"
            thread = threading.Thread(target=self._attend, args=(connection,), name=name)
            self._threads.append(thread)
            thread.start()

    def _attend(self, connection: socket.socket) -> None:
        try:
            self.serve(connection)
        except OSError:
            pass
        finally:
            self.let_go(connection)


class Door(TcpServer):
    """Lets connections through to another port of this machine while it is open.

    Attributes:
        open: Whether new connections are let through; those from before stay.
    """

    def __init__(self, target: int) -> None:
        super().__init__()
        self.open = False
        self._target = target

    def serve(self, connection: socket.socket) -> None:
        if not self.open:
            return
        with socket.create_connection(("127.0.0.1", self._target)) as inside:
            self.keep(inside)
            back = threading.Thread(target=_copy, args=(inside, connection), name="door")
            back.start()
            _copy(connection, inside)
            back.join()
            self.let_go(inside)


def _copy(source: socket.socket, target: socket.socket) -> None:
    """Copy to the end of one connection, and end both."""
    with suppress(OSError):
        while data := source.recv(65536):
            target.sendall(data)
    hang_up(source)
    hang_up(target)


def hang_up(connection: socket.socket) -> None:
    """End a connection from any thread, also for the one that waits for it."""
    with suppress(OSError):
        connection.shutdown(socket.SHUT_RDWR)
