"""Paths of OCSP requests over GET (RFC 6960 appendix A.1): for a certificate of the issuer and a file of serial numbers."""

import base64
import subprocess
import sys
import urllib.parse

issuer, file = sys.argv[1:]
serials = [line.strip() for line in open(file)]
first = bytes.fromhex(serials[0])
command = ["openssl", "ocsp", "-issuer", issuer, "-serial", "0x" + serials[0], "-no_nonce", "-reqout", "/dev/stdout"]
request = subprocess.run(command, check=True, capture_output=True).stdout
place = request.index(first)
for serial in map(bytes.fromhex, serials):
    # all serial numbers of the CA are of one length, so one request is the model of all
    assert len(serial) == len(first)
    der = request[:place] + serial + request[place + len(first):]
    print("/ocsp/" + urllib.parse.quote(base64.b64encode(der), safe=""))
