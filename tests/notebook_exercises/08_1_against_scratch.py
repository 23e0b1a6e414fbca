hurt = {"sounds"}
