hurt = {"shoes", "maps", "sounds"}
