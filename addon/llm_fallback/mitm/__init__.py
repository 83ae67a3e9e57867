"""Effect: the only part that knows mitmproxy.

`addon` has the hooks and options, `virtual_upstream` every private name of mitmproxy that is used, `carriage`
one managed flow on its way, `flows` the translation between flows and requests, and `story` what people read.
"""
