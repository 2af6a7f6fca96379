set(PORT_PARTS) # it is an ordinary program and shares nothing
