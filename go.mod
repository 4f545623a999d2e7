module hivemend

go 1.26
