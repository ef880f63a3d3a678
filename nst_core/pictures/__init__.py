"""Pictures in and out: files, sizes, masks and regions, films."""
