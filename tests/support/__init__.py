"""What tests stand on: a deployed template on moto, a meter, faults and interleavings."""
