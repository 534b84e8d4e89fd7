range_ = range
