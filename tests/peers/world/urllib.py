import sys
import urllib.request

try:
    with urllib.request.urlopen(sys.argv[1], timeout=5) as response:
        sys.stdout.buffer.write(response.read())
except Exception as error:
    sys.exit(str(error))
