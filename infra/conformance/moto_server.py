"""Serves moto on 127.0.0.1 at a port, one request after the other: as its own server runs it, in threads, its conditional writes are not atomic.

    python moto_server.py PORT
"""

import sys

from moto.server import DomainDispatcherApplication, MotoRequestHandler, create_backend_app
from werkzeug.serving import run_simple

run_simple("127.0.0.1", int(sys.argv[1]), DomainDispatcherApplication(create_backend_app), threaded=False, request_handler=MotoRequestHandler)
