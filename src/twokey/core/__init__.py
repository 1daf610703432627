"""Terms and contracts that every package may use: values, errors, reasons, the ports of the engine."""
